import Foundation

/// Where the repository's fixtures lie, found from this file.
enum FixturePaths {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    static func session(_ name: String) -> String {
        self.root.appendingPathComponent("sessions/\(name).io").path
    }

    /// Every transcript under Fixtures, in a fixed order.
    static var transcripts: [String] {
        let enumerator = FileManager.default.enumerator(at: self.root, includingPropertiesForKeys: nil)
        var paths: [String] = []
        while let url = enumerator?.nextObject() as? URL {
            if url.pathExtension == "io" { paths.append(url.path) }
        }
        return paths.sorted()
    }
}
