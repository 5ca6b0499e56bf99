import HeadstreamTesting

/// Reads a command line by the declarations of its commands.
///
/// `--name value`, `--name=value`, `-n value`, `-nvalue`; options and arguments in any order; everything after `--` is
/// an argument. `--help` and `-h` are known everywhere.
struct CommandLineParser {
    let root: Command
    /// Read where an option has a variable and is not given.
    var environment: [String: String] = [:]

    /// - Parameter words: the command line without the program's own name.
    func parse(_ words: [String]) throws(UsageError) -> Invocation {
        var parse = Parse(command: self.root, environment: self.environment)
        for word in words { parse.words.append(word) }
        return try parse.run()
    }
}

/// One command line on its way.
private struct Parse {
    var command: Command
    let environment: [String: String]
    var words: [String] = []
    private var next = 0
    private var path: [String] = []
    private var names: [String]
    private var arguments = Arguments()
    private var positionals: [String] = []
    private var wantsHelp = false

    init(command: Command, environment: [String: String]) {
        self.command = command
        self.environment = environment
        self.names = [command.name]
    }

    mutating func run() throws(UsageError) -> Invocation {
        while self.next < self.words.count {
            let word = self.words[self.next]
            self.next += 1
            if word == "--" {
                self.positionals += self.words[self.next...]
                self.next = self.words.count
            } else if word.hasPrefix("--") {
                try self.long(word.dropFirst(2))
            } else if word.hasPrefix("-"), word != "-", !self.isNegativeNumber(word) {
                try self.short(word.dropFirst())
            } else if !self.command.subcommands.isEmpty {
                try self.enter(word)
            } else {
                self.positionals.append(word)
            }
        }
        if self.wantsHelp { return .help(HelpText.text(of: self.command, names: self.names)) }
        guard self.command.subcommands.isEmpty || self.path.isEmpty == false || self.hasOptions else {
            let all = self.command.subcommands.map(\.name).joined(separator: ", ")
            throw self.error("a command is missing: \(all)")
        }
        try self.readPositionals()
        try self.readEnvironment()
        return .run(self.path, self.arguments)
    }

    /// `-5` is an argument, unless an option is called so.
    private func isNegativeNumber(_ word: String) -> Bool {
        guard let digit = word.dropFirst().first, digit.isASCII, digit.isNumber else { return false }
        return !self.command.options.contains { $0.short == digit }
    }

    /// A root may be called with options alone, such as `--version`.
    private var hasOptions: Bool {
        self.command.options.contains { self.arguments.has("--" + $0.name) }
    }

    private mutating func enter(_ word: String) throws(UsageError) {
        if word == "help", !self.command.subcommands.contains(where: { $0.name == "help" }) {
            self.wantsHelp = true
            return
        }
        guard let subcommand = self.command.subcommands.first(where: { $0.name == word }) else {
            throw self.error(
                "there is no command \(quoted(word))"
                    + self.suggestion(word, among: self.command.subcommands.map(\.name))
            )
        }
        self.command = subcommand
        self.path.append(word)
        self.names.append(word)
    }

    private mutating func long(_ text: Substring) throws(UsageError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts.first ?? "")
        let attached = parts.count > 1 ? String(parts[1]) : nil
        if name == "help", attached == nil {
            self.wantsHelp = true
            return
        }
        guard let option = self.command.options.first(where: { $0.name == name }) else {
            let names = self.command.options.map { $0.name } + ["help"]
            throw self.error(
                "there is no option \(quoted("--" + name))" + self.suggestion(name, among: names, prefix: "--")
            )
        }
        try self.take(option, shown: "--" + name, attached: attached)
    }

    private mutating func short(_ text: Substring) throws(UsageError) {
        guard let letter = text.first else { return }
        if letter == "h", text.count == 1, !self.command.options.contains(where: { $0.short == "h" }) {
            self.wantsHelp = true
            return
        }
        guard let option = self.command.options.first(where: { $0.short == letter }) else {
            throw self.error("there is no option \(quoted("-" + text))")
        }
        var rest = text.dropFirst()
        if rest.first == "=" { rest = rest.dropFirst() }
        try self.take(option, shown: "-\(letter)", attached: text.count > 1 ? String(rest) : nil)
    }

    private mutating func take(
        _ option: any OptionDeclaration,
        shown: String,
        attached: String?
    ) throws(UsageError) {
        if option is Flag {
            guard attached == nil else { throw self.error("\(shown) takes no value") }
            self.arguments.set(option.name)
            return
        }
        let text: String
        if let attached {
            text = attached
        } else if self.next < self.words.count, !self.words[self.next].hasPrefix("--") {
            text = self.words[self.next]
            self.next += 1
        } else {
            throw self.error("\(shown) takes \(option.expectation), and nothing follows it")
        }
        let key = "--" + option.name
        guard option.isRepeatable || !self.arguments.has(key) else { throw self.error("\(shown) is given twice") }
        guard let value = option.value(of: text) else {
            throw self.error("\(shown) takes \(option.expectation)" + (option.isShown ? ", not \(quoted(text))" : ""))
        }
        self.arguments.add(value, to: key)
    }

    private mutating func readPositionals() throws(UsageError) {
        var rest = self.positionals[...]
        for argument in self.command.arguments {
            if rest.isEmpty, argument.isRequired { throw self.error("\(argument.name) is missing: \(argument.help)") }
            let count = argument.isRepeatable ? rest.count : min(1, rest.count)
            for text in rest.prefix(count) {
                guard let value = argument.value(of: text) else {
                    let found = argument.isShown ? ", not \(quoted(text))" : ""
                    throw self.error("\(argument.name) takes \(argument.expectation)" + found)
                }
                self.arguments.add(value, to: argument.name)
            }
            rest = rest.dropFirst(count)
        }
        if let extra = rest.first { throw self.error("nothing is known to do with \(quoted(extra))") }
    }

    private mutating func readEnvironment() throws(UsageError) {
        for option in self.command.options where !self.arguments.has("--" + option.name) {
            guard let variable = option.environment, let text = self.environment[variable], !text.isEmpty else {
                continue
            }
            guard let value = option.value(of: text) else {
                let found = option.isShown ? ", not \(quoted(text))" : ""
                throw self.error("the environment variable \(variable) takes \(option.expectation)" + found)
            }
            self.arguments.add(value, to: "--" + option.name)
        }
    }

    private func suggestion(_ word: String, among candidates: [String], prefix: String = "") -> String {
        let near = EditDistance.suggestions(for: word, among: candidates, limit: 2)
        guard !near.isEmpty else { return "" }
        return "; did you mean " + near.map { prefix + $0 }.joined(separator: " or ") + "?"
    }

    private func error(_ message: String) -> UsageError {
        UsageError(command: self.names.joined(separator: " "), message: message)
    }
}

/// A text of the user's in quotes, cut and with control characters escaped, so that it cannot change the terminal.
func quoted(_ text: some StringProtocol) -> String {
    var result = "\""
    for scalar in text.unicodeScalars.prefix(64) {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + (text.unicodeScalars.count > 64 ? "…\"" : "\"")
}
