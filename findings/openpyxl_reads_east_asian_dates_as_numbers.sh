#!/usr/bin/env bash
# openpyxl gives a number for a date cell with one of the formats built into Japanese, Chinese and Korean Excel.
#
# Versions: XlsxWriter 3.3.1, openpyxl 3.1.5, python-calamine 0.9.1, exceljs 4.4.0, xlsx 0.18.5 (SheetJS), Python 3.11.
#
# The format ids 27 to 36 and 50 to 58 mean dates and times there (ECMA-376, 18.8.30) and need no text in the file, so a
# workbook may name the id alone. openpyxl knows none of them and says nothing: "joined on" comes in as 46328, and who
# guesses at numbers takes it for an amount, or for seconds since 1970 (12:52 on the first day). Readers differ, so a
# preview in the browser and the import on the server show different things of one file.
#
# Output seen:
#   openpyxl: id 14 datetime, id 31 int, id 57 int
#   calamine: id 14 date, id 31 date, id 57 date
#   exceljs: id 14 date, id 31 number, id 57 number
#   SheetJS: id 14 date, id 31 date, id 57 date
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'XlsxWriter==3.3.1' 'openpyxl==3.1.5' 'python-calamine==0.9.1'
npm install --silent --no-fund --no-audit exceljs@4.4.0 xlsx@0.18.5
cat > probe.py <<'PY'
import openpyxl
import python_calamine
import xlsxwriter

FORMATS = (14, 31, 57)
with xlsxwriter.Workbook("fans.xlsx") as book:
    sheet = book.add_worksheet()
    for column, number in enumerate(FORMATS):
        sheet.write_number(0, column, 46328, book.add_format({"num_format": number}))
for name, row in {
    "openpyxl": [cell.value for cell in openpyxl.load_workbook("fans.xlsx").active[1]],
    "calamine": python_calamine.CalamineWorkbook.from_path("fans.xlsx").get_sheet_by_index(0).to_python()[0],
}.items():
    print(f"{name}:", ", ".join(f"id {number} {type(value).__name__}" for number, value in zip(FORMATS, row)))
PY
cat > probe.mjs <<'JS'
import ExcelJS from "exceljs";
import XLSX from "xlsx";

const book = new ExcelJS.Workbook();
await book.xlsx.readFile("fans.xlsx");
const told = (values) => [14, 31, 57].map((id, at) => `id ${id} ${values[at] instanceof Date ? "date" : typeof values[at]}`);
console.log("exceljs:", told(book.worksheets[0].getRow(1).values.slice(1)).join(", "));
const sheet = XLSX.readFile("fans.xlsx", { cellDates: true }).Sheets.Sheet1;
console.log("SheetJS:", told([sheet.A1.v, sheet.B1.v, sheet.C1.v]).join(", "));
JS
{ venv/bin/python probe.py; TZ=UTC node probe.mjs; } | tee seen
diff seen - <<'EOF'
openpyxl: id 14 datetime, id 31 int, id 57 int
calamine: id 14 date, id 31 date, id 57 date
exceljs: id 14 date, id 31 number, id 57 number
SheetJS: id 14 date, id 31 date, id 57 date
EOF
