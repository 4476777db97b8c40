#!/usr/bin/env bash
# charset-normalizer reads a French list of names in Windows-1252 as Windows-1250: Hélène Lefèvre becomes Hélčne Lefčvre.
#
# Versions: charset-normalizer 3.5.2, Python 3.11.
#
# The file is what Excel in France saves as CSV. Its è is č in the encoding that is guessed, and a name with č is
# quite possible, so its chaos is 0.0: nothing in the answer tells that it is a guess. A longer list does not help (here a
# thousand rows), and a € sign in each row makes it worse (cp775, the Baltic DOS). A fan so gets a second card beside the
# one with the right name, or a message that greets Hélčne.
#
# Output seen:
#   3 rows: cp1250 'Hélčne Lefčvre', chaos 0.0
#   1000 rows: cp1250 'Hélčne Lefčvre', chaos 0.0
#   3 rows with a € sign: cp775 'HķlĶne LefĶvre', chaos 0.048
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'charset-normalizer==3.5.2'
cat > probe.py <<'PY'
from itertools import cycle, islice

from charset_normalizer import from_bytes

ROWS = ["Hélène Lefèvre;12,50", "François Noël;8,00", "Jérôme Béranger;3,00"]


def guess(name, rows, unit=""):
    text = "\r\n".join(["nom;montant", *[row + unit for row in rows], ""])
    best = from_bytes(text.encode("cp1252")).best()
    print(f"{name}: {best.encoding} {str(best).splitlines()[1].split(';')[0]!r}, chaos {best.chaos}")


guess("3 rows", ROWS)
guess("1000 rows", islice(cycle(ROWS), 1000))
guess("3 rows with a € sign", ROWS, " €")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
3 rows: cp1250 'Hélčne Lefčvre', chaos 0.0
1000 rows: cp1250 'Hélčne Lefčvre', chaos 0.0
3 rows with a € sign: cp775 'HķlĶne LefĶvre', chaos 0.048
EOF
