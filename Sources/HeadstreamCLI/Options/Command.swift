/// A command or subcommand as it is declared: everything that parsing and `--help` need.
struct Command: Sendable {
    let name: String
    /// One line, for the list of subcommands.
    let summary: String
    /// What the help says at length; empty lines part paragraphs.
    let discussion: String
    let options: [any OptionDeclaration]
    let arguments: [any ArgumentDeclaration]
    let subcommands: [Command]
    /// Lines at the end of the help, such as exit codes, kept as they are.
    let footer: String

    init(
        _ name: String,
        summary: String,
        discussion: String = "",
        options: [any OptionDeclaration] = [],
        arguments: [any ArgumentDeclaration] = [],
        subcommands: [Command] = [],
        footer: String = ""
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.options = options
        self.arguments = arguments
        self.subcommands = subcommands
        self.footer = footer
    }
}

/// What a command line says, typed by the declarations it is asked with.
struct Arguments: Sendable {
    private var values: [String: [any Sendable]] = [:]
    private var flags: Set<String> = []

    /// Whether the flag was given.
    subscript(flag: Flag) -> Bool { self.flags.contains("--" + flag.name) }

    /// The option's value, from the command line, the environment or its default.
    subscript<Value>(option: Option<Value>) -> Value? { self.all(option).last ?? option.defaultValue }

    /// All values of a repeatable option, in order.
    func all<Value>(_ option: Option<Value>) -> [Value] {
        (self.values["--" + option.name] ?? []).compactMap { $0 as? Value }
    }

    /// The argument's value.
    subscript<Value>(argument: Positional<Value>) -> Value? { self.all(argument).first }

    /// All values of a repeatable argument, in order.
    func all<Value>(_ argument: Positional<Value>) -> [Value] {
        (self.values[argument.name] ?? []).compactMap { $0 as? Value }
    }

    mutating func set(_ flag: String) { self.flags.insert("--" + flag) }

    mutating func add(_ value: any Sendable, to key: String) { self.values[key, default: []].append(value) }

    /// Whether an option or flag, with its dashes, or an argument has a value.
    func has(_ key: String) -> Bool { self.values[key] != nil || self.flags.contains(key) }
}

/// A command line that cannot be understood. The process ends with ``exitCode``.
struct UsageError: Error, Hashable, CustomStringConvertible {
    /// `EX_USAGE` of sysexits.h.
    static let exitCode: Int32 = 64

    /// The command as it was called: `headstream heads`.
    let command: String
    let message: String

    var description: String {
        "\(self.command): \(self.message)\nRun \"\(self.command) --help\" to see what it takes."
    }
}

/// What a command line asks for.
enum Invocation {
    /// Run the subcommand of these names, the root's left out.
    case run([String], Arguments)
    /// Print this and end well.
    case help(String)
}
