import Headstream

/// A method and its parameters on the command line, for `call` and `subscribe`.
struct MethodArguments {
    let method: Positional<String>
    let parameters = Positional(
        "JSON",
        .text,
        required: false,
        repeatable: true,
        help: "Its parameters, each as JSON; what is no JSON is taken as a string."
    )

    init(help: String) {
        self.method = Positional("METHOD", .text, help: help)
    }

    var all: [any ArgumentDeclaration] { [self.method, self.parameters] }

    func values(of arguments: Arguments) -> (method: String, parameters: [JSONValue]) {
        (arguments[self.method] ?? "", arguments.all(self.parameters).map(Self.parameter))
    }

    /// A parameter from the command line: JSON, or the text as a string, so that `latest` needs no quotes.
    static func parameter(_ text: String) -> JSONValue {
        (try? JSONValue(parsing: text)) ?? .string(text)
    }
}
