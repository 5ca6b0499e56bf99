import Glibc

/// Numbers and times as people read them, and cells.
enum TableText {
    /// `1,234,567`.
    static func grouped(_ number: UInt64) -> String {
        let digits = Array(String(number).utf8)
        var result: [UInt8] = []
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append(UInt8(ascii: ",")) }
            result.append(digit)
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// A number that is not negative, with so many digits behind the point, rounded to the nearest.
    static func decimal(_ number: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (number * scale).rounded()
        guard scaled.isFinite, scaled >= 0, scaled < 1e15 else { return "\(number)" }
        let whole = UInt64(scaled) / UInt64(scale)
        let rest = String(UInt64(scaled) % UInt64(scale))
        guard digits > 0 else { return String(whole) }
        return "\(whole)." + String(repeating: "0", count: max(0, digits - rest.utf8.count)) + rest
    }

    /// How long ago a time was, in at most two units: `7s`, `3m 5s`, `2h`, `4d 1h`, `3y 20d`; `in 2s` for a time to come.
    static func age(of timestamp: UInt64, now: UInt64) -> String {
        let isFuture = timestamp > now
        let seconds = isFuture ? timestamp - now : now - timestamp
        let units: [(size: UInt64, name: String)] = [
            (365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s"),
        ]
        var text = "0s"
        for (index, unit) in units.enumerated() where seconds >= unit.size {
            text = "\(seconds / unit.size)\(unit.name)"
            if index + 1 < units.count {
                let next = units[index + 1]
                let count = seconds % unit.size / next.size
                if count > 0 { text += " \(count)\(next.name)" }
            }
            break
        }
        return isFuture ? "in " + text : text
    }

    /// Hex with its middle left out: `0x9bff49…9446`.
    static func short(_ hex: String, head: Int = 8, tail: Int = 4) -> String {
        hex.utf8.count <= head + tail + 1 ? hex : "\(hex.prefix(head))…\(hex.suffix(tail))"
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Seconds since 1970.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: time.tv_sec)
    }
}
