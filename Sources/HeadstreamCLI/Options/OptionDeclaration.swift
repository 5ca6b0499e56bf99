/// What a command declares: an ``Option`` with a value or a ``Flag``.
protocol OptionDeclaration: Sendable {
    /// Without the dashes.
    var name: String { get }
    /// One letter, for `-n`.
    var short: Character? { get }
    /// What the help calls the value; nil for a flag.
    var placeholder: String? { get }
    var help: String { get }
    var isRepeatable: Bool { get }
    /// The environment variable that stands in where the option is not given.
    var environment: String? { get }
    /// What stands in where neither is given, for the help.
    var defaultText: String? { get }
    /// What values it takes, for errors.
    var expectation: String { get }
    var isShown: Bool { get }
    /// The value of a text, nil if it is none.
    func value(of text: String) -> (any Sendable)?
}

/// An option without a value: present or not.
struct Flag: OptionDeclaration {
    let name: String
    var short: Character?
    let help: String

    init(_ name: String, short: Character? = nil, help: String) {
        self.name = name
        self.short = short
        self.help = help
    }

    var placeholder: String? { nil }
    var isRepeatable: Bool { false }
    var environment: String? { nil }
    var defaultText: String? { nil }
    var expectation: String { "no value" }
    var isShown: Bool { true }
    func value(of text: String) -> (any Sendable)? { nil }
}

/// An option with a value.
struct Option<Value: Sendable>: OptionDeclaration {
    let name: String
    var short: Character?
    let placeholder: String?
    let help: String
    let isRepeatable: Bool
    let environment: String?
    let defaultText: String?
    let defaultValue: Value?
    let type: ValueType<Value>

    init(
        _ name: String,
        short: Character? = nil,
        _ placeholder: String,
        _ type: ValueType<Value>,
        repeatable: Bool = false,
        environment: String? = nil,
        default: (text: String, value: Value)? = nil,
        help: String
    ) {
        self.name = name
        self.short = short
        self.placeholder = placeholder
        self.type = type
        self.isRepeatable = repeatable
        self.environment = environment
        self.defaultText = `default`?.text
        self.defaultValue = `default`?.value
        self.help = help
    }

    var expectation: String { self.type.expectation }
    var isShown: Bool { self.type.isShown }
    func value(of text: String) -> (any Sendable)? { self.type.parse(text) }
}

/// What a command declares about an argument without a name.
protocol ArgumentDeclaration: Sendable {
    /// As the help shows it: `METHOD`.
    var name: String { get }
    var help: String { get }
    var isRequired: Bool { get }
    /// Takes all that is left; only the last one may.
    var isRepeatable: Bool { get }
    var expectation: String { get }
    var isShown: Bool { get }
    func value(of text: String) -> (any Sendable)?
}

/// An argument without a name.
struct Positional<Value: Sendable>: ArgumentDeclaration {
    let name: String
    let help: String
    let isRequired: Bool
    let isRepeatable: Bool
    let type: ValueType<Value>

    init(
        _ name: String,
        _ type: ValueType<Value>,
        required: Bool = true,
        repeatable: Bool = false,
        help: String
    ) {
        self.name = name
        self.type = type
        self.isRequired = required
        self.isRepeatable = repeatable
        self.help = help
    }

    var expectation: String { self.type.expectation }
    var isShown: Bool { self.type.isShown }
    func value(of text: String) -> (any Sendable)? { self.type.parse(text) }
}
