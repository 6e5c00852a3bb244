// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1

extension AdminClient {
    /// What is asked for, until the caller stops or the agent goes away. `body` gets each line as it
    /// arrives.
    public func flows(
        _ question: FlowQuestion, isolation: isolated (any Actor)? = #isolation,
        _ body: (FlowLine) async throws -> Void
    ) async throws {
        var path = "/v1/flows?last=\(question.last)"
        if question.follow { path += "&follow=1" }
        if question.allNodes { path += "&nodes=all" }
        if !question.filter.isEmpty { path += "&where=\(segment(question.filter.expression))" }
        let response = try await send(path, .GET, nil)
        var lines = LineSplitter()
        do {
            for try await chunk in response.body {
                for line in lines.split(chunk.readableBytesView) {
                    try await body(try decode(FlowLine.self, from: line, path, by: response))
                }
            }
        } catch {
            throw translate(error)
        }
    }

    /// Flows of the agent's own node, oldest first; with `follow`, then those to come.
    public func flows(
        follow: Bool, isolation: isolated (any Actor)? = #isolation,
        _ body: (Flow) async throws -> Void
    ) async throws {
        try await flows(FlowQuestion(follow: follow)) { line in
            if case .flow(let flow) = line { try await body(flow) }
        }
    }
}
