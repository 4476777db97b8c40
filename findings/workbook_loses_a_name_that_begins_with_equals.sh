#!/usr/bin/env bash
# A fan who is called =^.^= comes back as 0 or as nothing from a workbook that pandas or tablib wrote.
#
# Versions: pandas 3.1.1, XlsxWriter 3.3.1, openpyxl 3.1.5, tablib 3.10.0, polars 2.1.0, fastexcel 0.21.0, Python 3.11.
#
# Text that begins with = is written as a formula, though the column is of strings. That is known as a danger (formulas
# that call out); that harmless names are lost on the way is not. XlsxWriter gives the formula the result 0, openpyxl
# none, so what a reader finds depends on which of the two pandas found installed; both answers look like data.
# polars, by the same XlsxWriter, writes the name.
#
# Output seen:
#   pandas by XlsxWriter: ['Anna', 0]
#   pandas by openpyxl: ['Anna', None]
#   tablib: ['Anna', None]
#   polars by XlsxWriter: ['Anna', '=^.^=']
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'pandas==3.1.1' 'XlsxWriter==3.3.1' 'openpyxl==3.1.5' 'tablib==3.10.0' 'polars==2.1.0' 'fastexcel==0.21.0'
cat > probe.py <<'PY'
from pathlib import Path

import openpyxl
import pandas
import polars
import tablib

NAMES = ["Anna", "=^.^="]
path = Path("fans.xlsx")
frame = pandas.DataFrame({"name": NAMES})
for name, write in {
    "pandas by XlsxWriter": lambda: frame.to_excel(path, index=False, engine="xlsxwriter"),
    "pandas by openpyxl": lambda: frame.to_excel(path, index=False, engine="openpyxl"),
    "tablib": lambda: path.write_bytes(tablib.Dataset(*[(each,) for each in NAMES], headers=["name"]).export("xlsx")),
    "polars by XlsxWriter": lambda: polars.DataFrame({"name": NAMES}).write_excel(path),
}.items():
    write()
    sheet = openpyxl.load_workbook(path, data_only=True).active
    print(f"{name}:", [row[0].value for row in sheet.iter_rows(min_row=2)])
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
pandas by XlsxWriter: ['Anna', 0]
pandas by openpyxl: ['Anna', None]
tablib: ['Anna', None]
polars by XlsxWriter: ['Anna', '=^.^=']
EOF
