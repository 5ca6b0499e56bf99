/// The text of `--help`, at most 80 columns wide.
enum HelpText {
    static let width = 80
    /// Where the right column begins, unless the left one is wider.
    private static let column = 26

    /// - Parameter names: the command as it is called: `["headstream", "heads"]`.
    static func text(of command: Command, names: [String]) -> String {
        var parts = [self.wrap(command.summary), self.usage(of: command, names: names)]
        if !command.discussion.isEmpty {
            parts += self.paragraphs(of: command.discussion).map { self.wrap($0) }
        }
        if !command.subcommands.isEmpty {
            parts.append("Commands:\n" + self.table(command.subcommands.map { ($0.name, $0.summary) }))
        }
        if !command.arguments.isEmpty {
            parts.append("Arguments:\n" + self.table(command.arguments.map { ($0.name, $0.help) }))
        }
        let options = command.options.map { (self.left($0), self.right($0)) }
        parts.append("Options:\n" + self.table(options + [("-h, --help", "Show this.")]))
        if !command.footer.isEmpty { parts.append(command.footer) }
        return parts.joined(separator: "\n\n") + "\n"
    }

    private static func usage(of command: Command, names: [String]) -> String {
        var words = names
        if !command.options.isEmpty { words.append("[OPTIONS]") }
        if !command.subcommands.isEmpty { words.append("COMMAND") }
        for argument in command.arguments {
            let name = argument.isRepeatable ? argument.name + "…" : argument.name
            words.append(argument.isRequired ? name : "[\(name)]")
        }
        return self.wrap("Usage: " + words.joined(separator: " "), indent: 7, firstIndent: 0)
    }

    private static func left(_ option: any OptionDeclaration) -> String {
        let short = option.short.map { "-\($0), " } ?? "    "
        return short + "--" + option.name + (option.placeholder.map { " " + $0 } ?? "")
    }

    private static func right(_ option: any OptionDeclaration) -> String {
        var text = option.help
        if option.isRepeatable { text += " May be given several times." }
        if let variable = option.environment { text += " Also read from \(variable)." }
        if let value = option.defaultText { text += " Default: \(value)." }
        return text
    }

    private static func table(_ rows: [(left: String, right: String)]) -> String {
        let widest = rows.map { $0.left.count + 4 }.filter { $0 <= self.column }.max() ?? self.column
        return rows.map { left, right in
            let start = "  " + left
            let body = self.wrap(right, indent: widest)
            if start.count + 2 > widest { return start + "\n" + body }
            return start + String(repeating: " ", count: widest - start.count) + body.dropFirst(widest)
        }.joined(separator: "\n")
    }

    private static func paragraphs(of text: String) -> [String] {
        var paragraphs: [[Substring]] = [[]]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { paragraphs.append([]) } else { paragraphs[paragraphs.count - 1].append(line) }
        }
        return paragraphs.filter { !$0.isEmpty }.map { $0.joined(separator: " ") }
    }

    /// Breaks at blanks; a word longer than a line stands alone and is not broken.
    static func wrap(_ text: String, indent: Int = 0, firstIndent: Int? = nil) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = String(repeating: " ", count: firstIndent ?? indent)
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, line.count + 1 + word.count > self.width {
                lines.append(line)
                line = margin
                isEmpty = true
            }
            if !isEmpty { line += " " }
            line += word
            isEmpty = false
        }
        return (lines + [line]).joined(separator: "\n")
    }
}
