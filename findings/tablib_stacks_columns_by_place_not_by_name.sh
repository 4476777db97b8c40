#!/usr/bin/env bash
# tablib's Dataset.stack() puts the amounts of one list under the names of another where their columns stand in other order.
#
# Versions: tablib 3.10.0, Python 3.11.
#
# Both lists have headers and the same ones; stack() looks at the width alone, keeps the headers of the first and says
# nothing. Exports of two months or two shops are joined this way before an import. Where both columns are numbers, such as
# fan and cents, nothing later can see it either: fan 300 is credited with 8 cents, not fan 8 with 300.
#
# Output seen:
#   fan 7 gets 1250 cents
#   fan 300 gets 8 cents
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'tablib==3.10.0'
cat > probe.py <<'PY'
import tablib

october = tablib.Dataset().load("fan,cents\n7,1250\n", format="csv")
november = tablib.Dataset().load("cents,fan\n300,8\n", format="csv")
for row in october.stack(november).dict:
    print(f"fan {row['fan']} gets {row['cents']} cents")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
fan 7 gets 1250 cents
fan 300 gets 8 cents
EOF
