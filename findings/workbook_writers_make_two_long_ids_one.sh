#!/usr/bin/env bash
# XlsxWriter and openpyxl, and so pandas, polars and tablib, write two ids of 17 digits to a workbook as one and the same.
#
# Versions: XlsxWriter 3.3.1, openpyxl 3.1.5, pandas 3.1.1, polars 2.1.0, tablib 3.10.0, fastexcel 0.21.0, Python 3.11.
#
# Both print numbers with 16 significant digits (%.16G), one less than a double needs. The two ids here are doubles
# exactly, so a reader would get them back to the last digit had they been written out; as it is, both come back as a third
# number that no row had. There is no warning, and the column read back is of whole numbers (Int64), so it looks exact.
# A list of fans that goes out as a workbook for somebody to add a column to, and comes in again, meets the wrong fans.
#
# Output seen:
#   ids that a double holds exactly: True
#   XlsxWriter: cells 1.234567890123457E+16 1.234567890123457E+16
#   openpyxl: cells 1.234567890123457e+16 1.234567890123457e+16
#   pandas to_excel: cells 1.234567890123457E+16 1.234567890123457E+16
#   polars write_excel: cells 1.234567890123457E+16 1.234567890123457E+16
#   tablib export: cells 1.234567890123457e+16 1.234567890123457e+16
#   polars reads its own workbook: Int64 [12345678901234570, 12345678901234570]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'XlsxWriter==3.3.1' 'openpyxl==3.1.5' 'pandas==3.1.1' 'polars==2.1.0' 'tablib==3.10.0' 'fastexcel==0.21.0'
cat > probe.py <<'PY'
import re
import zipfile

import openpyxl
import pandas
import polars
import tablib
import xlsxwriter

IDS = [12345678901234566, 12345678901234568]


def by_xlsxwriter(path):
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_column(0, 0, ["id", *IDS])


def by_openpyxl(path):
    book = openpyxl.Workbook()
    for value in ("id", *IDS):
        book.active.append([value])
    book.save(path)


def by_tablib(path):
    with open(path, "wb") as file:
        file.write(tablib.Dataset(*[(value,) for value in IDS], headers=["id"]).export("xlsx"))


print("ids that a double holds exactly:", [int(float(value)) for value in IDS] == IDS)
for name, write in {
    "XlsxWriter": by_xlsxwriter,
    "openpyxl": by_openpyxl,
    "pandas to_excel": lambda path: pandas.DataFrame({"id": IDS}).to_excel(path, index=False),
    "polars write_excel": lambda path: polars.DataFrame({"id": IDS}).write_excel(path),
    "tablib export": by_tablib,
}.items():
    path = f"{name}.xlsx"
    write(path)
    with zipfile.ZipFile(path) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    cells = re.findall(r'<c r="A[23]"[^>]*><v>([^<]*)</v>', sheet)
    print(f"{name}: cells", *cells)
read = polars.read_excel("polars write_excel.xlsx")["id"]
print("polars reads its own workbook:", read.dtype, read.to_list())
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
ids that a double holds exactly: True
XlsxWriter: cells 1.234567890123457E+16 1.234567890123457E+16
openpyxl: cells 1.234567890123457e+16 1.234567890123457e+16
pandas to_excel: cells 1.234567890123457E+16 1.234567890123457E+16
polars write_excel: cells 1.234567890123457E+16 1.234567890123457E+16
tablib export: cells 1.234567890123457e+16 1.234567890123457e+16
polars reads its own workbook: Int64 [12345678901234570, 12345678901234570]
EOF
