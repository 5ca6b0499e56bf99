/// Where the checked-in test data is.
enum Fixture {
    static func path(_ name: String, file: StaticString = #filePath) -> String {
        let parts = "\(file)".split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        return parts.joined(separator: "/") + "/Fixtures/" + name
    }
}
