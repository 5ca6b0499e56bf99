/// Where the checked-in test data is.
enum Fixture {
    static func path(_ name: String, file: StaticString = #filePath) -> String {
        let parts = "\(file)".split(separator: "/", omittingEmptySubsequences: false)
        let root = parts.prefix(upTo: parts.lastIndex(of: "Tests") ?? parts.startIndex)
        return root.joined(separator: "/") + "/Fixtures/" + name
    }
}
