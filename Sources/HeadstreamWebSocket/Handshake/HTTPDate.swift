/// A moment as HTTP writes it (RFC 9110 §5.6.7), as seconds since 1970 without a clock or a calendar of the system.
enum HTTPDate {
    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    /// Reads the three forms that must be understood: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`
    /// and `Sun Nov  6 08:49:37 1994`.
    static func seconds(_ text: String) -> Int? {
        var parts = text.split { $0 == " " || $0 == "," || $0 == "-" }.map { $0.lowercased() }
        if parts.last == "gmt" { parts.removeLast() }
        guard parts.count == 5 else { return nil }
        parts.removeFirst()
        // asctime has the month first, and the year last.
        let isAsctime = Self.months.contains(parts[0])
        let (day, month, year, time) =
            isAsctime ? (parts[1], parts[0], parts[3], parts[2]) : (parts[0], parts[1], parts[2], parts[3])
        let clock = time.split(separator: ":", omittingEmptySubsequences: false).map { Self.number($0, 0...60) }
        guard let day = Self.number(day[...], 1...31), let month = Self.months.firstIndex(of: month),
            let year = Self.number(year[...], 0...9999), clock.count == 3, let hour = clock[0], hour < 24,
            let minute = clock[1], minute < 60, let second = clock[2]
        else { return nil }
        // Two digits: no century of a date that is sent today is in doubt.
        return Self.days(year: year < 100 ? year + 2000 : year, month: month + 1, day: day) * 86_400
            + hour * 3600 + minute * 60 + second
    }

    private static func number(_ text: Substring, _ bounds: ClosedRange<Int>) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text), bounds ~= value else {
            return nil
        }
        return value
    }

    /// Days since 1970-01-01 in the Gregorian calendar, by years that begin in March, so that the leap day is their last.
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
