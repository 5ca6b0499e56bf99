/// What is wrong with a transcript, and where: file and line first, so that an editor can jump there.
public struct TranscriptError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, or the name the transcript was given.
    public var file: String
    /// The line, counted from 1; 0 where the file as a whole is meant.
    public var line: Int
    /// What is wrong and what was expected. Excerpts of the file in it are cut to 64 bytes and escaped.
    public var reason: String

    public init(file: String, line: Int, reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    public var description: String {
        self.line > 0 ? "\(self.file):\(self.line): \(self.reason)" : "\(self.file): \(self.reason)"
    }
}
