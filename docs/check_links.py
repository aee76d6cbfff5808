"""Check that every link inside a built site leads to a file and a place in it.

python docs/check_links.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the places in it that a link can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an element refers to, and its name."""
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.links.add(value)
            elif key in ("id", "name") and value:
                self.places.add(value)


def broken_links(site: Path) -> list[str]:
    """Return a sentence for each link between files of a site that leads nowhere."""
    pages = {
        path: Page(path.read_text())
        for path in site.resolve().rglob("*.html")
        if "_static" not in path.parts
    }
    if not pages:
        return [f"{site} has no pages: build it first"]
    return sorted(
        f"{path.relative_to(site.resolve())}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not _leads_somewhere(link, path, pages)
    )


def _leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    """Whether a link leads to another site, or to a file and place of this one."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    place = unquote(parts.fragment)
    return not place or target not in pages or place in pages[target].places


if __name__ == "__main__":
    broken = broken_links(Path(sys.argv[1]))
    sys.exit("\n".join(["links that lead nowhere:", *broken]) if broken else 0)
