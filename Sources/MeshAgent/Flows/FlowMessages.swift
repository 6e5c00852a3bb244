// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What one node asks another one of its cluster about flows. Whoever asks waits for the answer before
/// it asks again, so a link holds one answer for each reader at most.
struct FlowAsk: Hashable, Sendable {
    /// Of an answer, whatever is asked for.
    static let answerBytesMaximum: UInt32 = 128 << 10
    static let expressionBytes = 4096

    /// What the answer repeats. Never used again by the node that asks.
    let id: UInt64
    /// Of the agent's life in which the position was told; 0: none was.
    let life: UInt64
    /// Flows after the first so many; without a life: those that happened already.
    let position: UInt64
    /// The newest so many of those that happened already.
    let last: UInt16
    /// Room for flows in the answer.
    let bytes: UInt32
    /// ``FlowFilter/expression``.
    let filter: String
}

struct FlowAnswer: Hashable, Sendable {
    static let flowsMaximum = 4096
    static let flowBytes = 64 << 10
    static let refusalBytes = 1024

    let id: UInt64
    let life: UInt64
    /// Where to go on.
    let position: UInt64
    /// Flows after the position asked for that are gone.
    let lost: UInt64
    /// Flows that the kernel had no room for, since the programs were loaded.
    let kernelLost: UInt64
    /// JSON of ``Flow``, oldest first.
    let flows: [[UInt8]]
    /// Why there is no other answer; empty: there is.
    var refusal = ""
}

extension ByteWriter {
    mutating func write(_ ask: FlowAsk) {
        write(ask.id)
        write(ask.life)
        write(ask.position)
        write(ask.last)
        write(ask.bytes)
        write(ask.filter)
    }

    mutating func write(_ answer: FlowAnswer) {
        write(answer.id)
        write(answer.life)
        write(answer.position)
        write(answer.lost)
        write(answer.kernelLost)
        write(list: answer.flows) { $0.write(field: $1) }
        write(
            String(decoding: answer.refusal.utf8.prefix(FlowAnswer.refusalBytes / 3), as: UTF8.self)
        )
    }
}

extension ByteReader {
    mutating func readFlowAsk() throws(DecodingFault) -> FlowAsk {
        FlowAsk(
            id: try read(), life: try read(), position: try read(), last: try read(),
            bytes: try read(), filter: try readString(max: FlowAsk.expressionBytes, "filter"))
    }

    mutating func readFlowAnswer() throws(DecodingFault) -> FlowAnswer {
        FlowAnswer(
            id: try read(), life: try read(), position: try read(), lost: try read(),
            kernelLost: try read(),
            flows: try readList(max: FlowAnswer.flowsMaximum, "flows") {
                reader throws(DecodingFault) in
                Array(try reader.readField(max: FlowAnswer.flowBytes, "flow"))
            }, refusal: try readString(max: FlowAnswer.refusalBytes, "refusal"))
    }
}
