// SPDX-License-Identifier: Apache-2.0

/// How what was read compares with what is written again.
enum Faithfulness: Sendable {
    /// Byte for byte: there is one encoding of a value, and nothing is ignored.
    case exact
    /// Reads as the same value again: readers ignore what a later version appends.
    case equal
}

/// Reads `bytes` twice and alike, and, if they can be read, writes what was read and reads it again.
///
/// - Returns: what was read, nil if it was refused.
@discardableResult
func checkDecoding<Value: Equatable, Fault: Error & Equatable>(
    of bytes: [UInt8], _ faithfulness: Faithfulness,
    decode: ([UInt8]) throws(Fault) -> Value, encode: (Value) -> [UInt8]
) throws -> Value? {
    let (first, second) = (outcome(decode, bytes), outcome(decode, bytes))
    try demand(first == second, "read twice: \(first), then \(second)")
    guard case .success(let value) = first else { return nil }
    let written = encode(value)
    let again = outcome(decode, written)
    try demand(again == first, "\(value) written and read again: \(again)")
    switch faithfulness {
    case .exact: try demand(written == bytes, "\(value) came as other bytes than it is written")
    case .equal: try demand(encode(try again.get()) == written, "\(value) is written in two ways")
    }
    return value
}

/// The same for what is read from text, where nil is a refusal.
@discardableResult
func checkParsing<Value: Equatable & LosslessStringConvertible>(
    of text: String, as: Value.Type
) throws -> Value? {
    guard let value = Value(text) else {
        try demand(Value(text) == nil, "\(text) is refused only sometimes")
        return nil
    }
    let written = value.description
    let again = Value(written)
    try demand(again == value, "\(text) is written as \(written), which reads otherwise")
    try demand(again?.description == written, "\(written) is written in two ways")
    return value
}

private func outcome<Value, Fault: Error>(
    _ decode: ([UInt8]) throws(Fault) -> Value, _ bytes: [UInt8]
) -> Result<Value, Fault> {
    do throws(Fault) { return .success(try decode(bytes)) } catch { return .failure(error) }
}
