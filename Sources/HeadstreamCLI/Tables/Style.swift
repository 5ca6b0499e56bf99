/// How a table looks where it goes to.
struct Style: Sendable, Hashable {
    /// Whether colours are written.
    var hasColor = false
    /// The columns of the terminal; nil elsewhere, where nothing is cut.
    var columns: Int?

    /// The style for stdout.
    static func standardOutput() -> Style {
        Style(hasColor: Descriptor.wantsColor(1), columns: Descriptor.columns(of: 1))
    }

    enum Color: Int {
        case bold = 1
        case dim = 2
        case red = 31
        case green = 32
        case yellow = 33
        case cyan = 36
    }

    func colored(_ text: String, _ color: Color) -> String {
        self.hasColor ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }
}
