#!/usr/bin/env bash
# openpyxl reads a line end that XlsxWriter wrote, \r\n, as the letters _x000D_ and a line feed.
#
# Versions: XlsxWriter 3.3.1, openpyxl 3.1.5, pandas 3.1.1, tablib 3.10.0, python-calamine 0.9.1, Python 3.11.
#
# A workbook cannot hold a carriage return as it is: XlsxWriter writes _x000D_ in its place, as Excel does. openpyxl undoes
# no such escape. A note or a message that was typed in a browser (forms send \r\n) goes out through pandas and comes back
# with seven letters more in each line, through pandas' own default reader, tablib and django-import-export alike, and a
# fan is sent them. The reader that is made on calamine gives what was written.
#
# Output seen:
#   pandas.read_excel, engine openpyxl: 'Dear Anna,_x000D_\nthank you.'
#   tablib: 'Dear Anna,_x000D_\nthank you.'
#   pandas.read_excel, engine calamine: 'Dear Anna,\r\nthank you.'
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'XlsxWriter==3.3.1' 'openpyxl==3.1.5' 'pandas==3.1.1' 'tablib==3.10.0' 'python-calamine==0.9.1'
cat > probe.py <<'PY'
from pathlib import Path

import pandas
import tablib

path = Path("notes.xlsx")
pandas.DataFrame({"note": ["Dear Anna,\r\nthank you."]}).to_excel(path, index=False, engine="xlsxwriter")
print("pandas.read_excel, engine openpyxl:", repr(pandas.read_excel(path, engine="openpyxl")["note"][0]))
print("tablib:", repr(tablib.Dataset().load(path.read_bytes(), format="xlsx")["note"][0]))
print("pandas.read_excel, engine calamine:", repr(pandas.read_excel(path, engine="calamine")["note"][0]))
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
pandas.read_excel, engine openpyxl: 'Dear Anna,_x000D_\nthank you.'
tablib: 'Dear Anna,_x000D_\nthank you.'
pandas.read_excel, engine calamine: 'Dear Anna,\r\nthank you.'
EOF
