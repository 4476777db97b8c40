#!/usr/bin/env bash
# SheetJS reads a workbook's 2 November as 1 November 23:59:39 in Paris, and in Madrid it writes 2 November as 1 November.
#
# Versions: xlsx 0.18.5 (SheetJS, the newest on npm), Node 20 (with its own time zones).
#
# It counts days from 30 December 1899 on the local clock, which then ran by local mean time (Paris 9 min 21 s ahead of
# Greenwich, Madrid 14 min 44 s behind) and corrects by whole minutes: the odd seconds stay in every date. In New York and
# London, and with UTC, where most projects test, nothing shows. A date of birth or of payment in a sheet that a browser in
# Paris takes in (cellDates: true) falls on the day before; the sheet made in Madrid is wrong for every reader.
#
# Output seen:
#   UTC: 46328 (2026-11-02) read as 2026-11-02 00:00:00; 2026-11-02 00:00:00 written as 46328.00000
#   America/New_York: 46328 (2026-11-02) read as 2026-11-02 00:00:00; 2026-11-02 00:00:00 written as 46328.00000
#   Europe/Paris: 46328 (2026-11-02) read as 2026-11-01 23:59:39; 2026-11-02 00:00:00 written as 46328.00024
#   Europe/Madrid: 46328 (2026-11-02) read as 2026-11-02 00:00:44; 2026-11-02 00:00:00 written as 46327.99949
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit xlsx@0.18.5
cat > probe.mjs <<'JS'
import XLSX from "xlsx";

const file = (sheet) => XLSX.write({ SheetNames: ["a"], Sheets: { a: sheet } }, { type: "buffer", bookType: "xlsx" });
const given = XLSX.utils.aoa_to_sheet([[46328]]);
given.A1.z = "yyyy-mm-dd";
const read = XLSX.read(file(given), { cellDates: true }).Sheets.a.A1.v;
const local = `${read.toLocaleDateString("sv-SE")} ${read.toLocaleTimeString("sv-SE")}`;
const written = XLSX.read(file(XLSX.utils.aoa_to_sheet([[new Date(2026, 10, 2)]]))).Sheets.a.A1.v;
console.log(
  `${process.env.TZ}: 46328 (2026-11-02) read as ${local}; 2026-11-02 00:00:00 written as ${written.toFixed(5)}`,
);
JS
for zone in UTC America/New_York Europe/Paris Europe/Madrid; do
    TZ=$zone node probe.mjs
done | tee seen
diff seen - <<'EOF'
UTC: 46328 (2026-11-02) read as 2026-11-02 00:00:00; 2026-11-02 00:00:00 written as 46328.00000
America/New_York: 46328 (2026-11-02) read as 2026-11-02 00:00:00; 2026-11-02 00:00:00 written as 46328.00000
Europe/Paris: 46328 (2026-11-02) read as 2026-11-01 23:59:39; 2026-11-02 00:00:00 written as 46328.00024
Europe/Madrid: 46328 (2026-11-02) read as 2026-11-02 00:00:44; 2026-11-02 00:00:00 written as 46327.99949
EOF
