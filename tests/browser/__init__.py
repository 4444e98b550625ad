"""The pages in a real browser: Playwright with Debian's Chromium (make test-browser)."""
