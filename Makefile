PREFIX ?= /usr/local

.PHONY: live install

# Tries the command against a real node, where there is one: see the script.
live:
	Tests/Scripts/live.sh

# Builds the command for use and puts it into $(PREFIX)/bin.
install:
	swift build -c release --product headstream
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 "$$(swift build -c release --show-bin-path)/headstream" "$(DESTDIR)$(PREFIX)/bin/headstream"
