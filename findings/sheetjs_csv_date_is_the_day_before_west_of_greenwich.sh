#!/usr/bin/env bash
# SheetJS reads the date 2026-11-02 in a CSV as 1 November at seven in the evening where the clock is New York's.
#
# Versions: xlsx 0.18.5 (SheetJS, the newest on npm), Node 20.
#
# A date alone is taken for midnight in UTC (as JavaScript does) and then told as local time; a date with an hour in the
# next row of the same file is taken for local time. So in one column some rows move to the day before and some do not, in
# Paris the dates alone become one in the morning, and in London in winter, and on most servers, nothing is wrong.
# Sums per day and "paid until" come out a day short for those who import in America alone. There is no warning.
#
# Output seen:
#   UTC: 2026-11-02 is 2026-11-02 00:00, 2026-11-02 00:00 is 2026-11-02 00:00
#   America/New_York: 2026-11-02 is 2026-11-01 19:00, 2026-11-02 00:00 is 2026-11-02 00:00
#   America/Los_Angeles: 2026-11-02 is 2026-11-01 16:00, 2026-11-02 00:00 is 2026-11-02 00:00
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit xlsx@0.18.5
cat > probe.mjs <<'JS'
import XLSX from "xlsx";

const sheet = XLSX.read("when\n2026-11-02\n2026-11-02 00:00\n", { type: "string" }).Sheets.Sheet1;
// A cell holds days since 1899-12-30 on the wall clock, whatever the zone: told to the minute.
const told = (cell) => XLSX.SSF.format("yyyy-mm-dd hh:mm", cell.v);
console.log(`${process.env.TZ}: 2026-11-02 is ${told(sheet.A2)}, 2026-11-02 00:00 is ${told(sheet.A3)}`);
JS
for zone in UTC America/New_York America/Los_Angeles; do
    TZ=$zone node probe.mjs
done | tee seen
diff seen - <<'EOF'
UTC: 2026-11-02 is 2026-11-02 00:00, 2026-11-02 00:00 is 2026-11-02 00:00
America/New_York: 2026-11-02 is 2026-11-01 19:00, 2026-11-02 00:00 is 2026-11-02 00:00
America/Los_Angeles: 2026-11-02 is 2026-11-01 16:00, 2026-11-02 00:00 is 2026-11-02 00:00
EOF
