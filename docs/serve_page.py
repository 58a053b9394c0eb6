"""Draw docs/serve.png: the page of `kcnn serve` with a few digits dropped on it.

`python docs/serve_page.py FOLDER` with the folder of an exported digits model; needs Chromium.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser  # noqa: E402
from server_tools import Server  # noqa: E402

DIGITS = (15, 8)  # of scikit-learn's


def main(folder: Path) -> None:
    """Serve the folder, drop the digits on its page, keep what is seen."""
    spec = importlib.util.spec_from_file_location("serve", ROOT / "examples" / "06_serve.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with tempfile.TemporaryDirectory() as scratch, Server(folder) as server, Browser() as page:
        page.resize(760, 800, scale=1.5)
        page.open(f"http://127.0.0.1:{server.port}/")
        for count, index in enumerate(DIGITS, start=1):
            picture = Path(scratch, f"{index}.jpg")
            example.digit_jpeg(picture, index)
            page.choose("#file", picture)
            page.wait(f"document.querySelectorAll('#answers > li').length == {count}")
        page.wait("[...document.images].every(i => i.complete && i.naturalWidth)")
        target = ROOT / "docs" / "serve.png"
        target.write_bytes(page.screenshot())
        print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
