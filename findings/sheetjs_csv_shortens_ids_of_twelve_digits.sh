#!/usr/bin/env bash
# SheetJS's sheet_to_csv writes the id 123456789012 as 1.23457E+11, so ids of twelve digits and more that differ become one.
#
# Versions: xlsx 0.18.5 (SheetJS, the newest on npm), Node 20.
#
# sheet_to_csv writes what a narrow cell would show, sheet_to_json of the same sheet the whole number: the workbook has it.
# A date loses its hundred years on the same way, and its time. rawNumbers: true keeps the ids, but then a date is a count
# of days. Shops turn workbooks of fans and payments into CSV in the browser this way, before they send them to a server.
#
# Output seen:
#   cells: 123456789012 123456999999
#   sheet_to_json: 123456789012 123456999999
#   sheet_to_csv: 1.23457E+11,11/2/26 | 1.23457E+11,11/2/26
#   sheet_to_csv, rawNumbers: 123456789012,46328.5 | 123456999999,46328.75
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit xlsx@0.18.5
cat > probe.mjs <<'JS'
import XLSX from "xlsx";

const made = XLSX.utils.aoa_to_sheet([["id", "when"], [123456789012, 46328.5], [123456999999, 46328.75]]);
for (const cell of ["B2", "B3"]) made[cell].z = XLSX.SSF.get_table()[14]; // the built-in short date
const file = XLSX.write({ SheetNames: ["fans"], Sheets: { fans: made } }, { type: "buffer", bookType: "xlsx" });
const sheet = XLSX.read(file).Sheets.fans;
const csv = (options) => XLSX.utils.sheet_to_csv(sheet, options).trim().split("\n").slice(1).join(" | ");
console.log("cells:", sheet.A2.v, sheet.A3.v);
console.log("sheet_to_json:", ...XLSX.utils.sheet_to_json(sheet).map((row) => row.id));
console.log("sheet_to_csv:", csv());
console.log("sheet_to_csv, rawNumbers:", csv({ rawNumbers: true }));
JS
TZ=UTC node probe.mjs | tee seen
diff seen - <<'EOF'
cells: 123456789012 123456999999
sheet_to_json: 123456789012 123456999999
sheet_to_csv: 1.23457E+11,11/2/26 | 1.23457E+11,11/2/26
sheet_to_csv, rawNumbers: 123456789012,46328.5 | 123456999999,46328.75
EOF
