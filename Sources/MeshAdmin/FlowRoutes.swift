// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle

/// `GET /v1/flows`: `where` is an expression of ``FlowFilter``; `follow=1`, `last=N`, `nodes=all`.
func addFlows(_ provider: any AdminProvider, to router: Router<BasicRequestContext>) {
    let readers = Readers()
    router.get("/v1/flows") { request, _ in
        let question = try flowQuestion(request)
        guard let reader = readers.enter() else {
            throw AdminFault(
                .unavailable, "\(Readers.maximum) readers of flows are there already",
                hint: "end one of them: look for other 'weft flows' and 'weft drops'")
        }
        return flowResponse(request, try await provider.flows(question), reader)
    }
}

private func flowQuestion(_ request: Request) throws -> FlowQuestion {
    let parameters = request.uri.queryParameters
    var question = FlowQuestion()
    question.follow = parameters["follow"] == "1"
    question.allNodes = parameters["nodes"] == "all"
    if let text = parameters["last"] {
        guard let last = Int(text), (0...FlowQuestion.lastMaximum).contains(last) else {
            throw AdminFault(
                .invalidRequest, "'last' has to be a number up to \(FlowQuestion.lastMaximum)")
        }
        question.last = last
    }
    guard let expression = parameters["where"] else { return question }
    do throws(FlowFilter.Fault) {
        question.filter = try FlowFilter(String(expression))
    } catch {
        throw AdminFault(.invalidRequest, "\(error)", hint: "see weft flows --help")
    }
    return question
}

/// One JSON object a line, each sent at once, until the stream ends or the reader goes away.
private func flowResponse(
    _ request: Request, _ lines: AsyncStream<FlowLine>, _ reader: Readers.Reader
) -> Response {
    Response(
        status: .ok,
        // Who watches a connection for its end can't take another request from it.
        headers: [.contentType: "application/x-ndjson", .connection: "close"],
        body: ResponseBody { writer in
            // Without watching the connection a quiet stream would outlive its reader for ever.
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                for await line in lines.cancelOnGracefulShutdown() {
                    try await writer.write(
                        ByteBuffer(bytes: try adminJSON(line) + [UInt8(ascii: "\n")]))
                }
            }
            withExtendedLifetime(reader) {}
            try await writer.finish(nil)
        })
}
