/// The kind of a frame (RFC 6455 §5.2). Opcodes 3 to 7 and 11 to 15 are reserved.
package enum Opcode: UInt8, Hashable, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA
}
