// SPDX-License-Identifier: Apache-2.0

import Hummingbird

/// Whoever can tell how far a flow gets.
public protocol FlowStoryProvider: Sendable {
    /// `notFound` for a name that nobody has, `invalidRequest` for one that several have.
    func story(of flow: WhyQuestion) async throws -> FlowStory
}

func addFlowStory(
    _ provider: any FlowStoryProvider, to router: Router<BasicRequestContext>
) {
    router.get("/v1/why-flow") { request, _ in
        let query = request.uri.queryParameters
        guard let source = query["from"], let destination = query["to"] else {
            throw AdminFault(.invalidRequest, "the parameters 'from' and 'to' are missing")
        }
        let question = try WhyQuestion(
            from: String(source), to: String(destination), traffic: query["traffic"].map { "\($0)" }
        )
        return try json(try await untilShutdown { try await provider.story(of: question) })
    }
}

extension AdminClient {
    /// How far a flow gets; see ``WhyQuestion/init(from:to:traffic:)``.
    public func why(
        from source: String, to destination: String, traffic: String? = nil
    ) async throws -> FlowStory {
        let tail = traffic.map { "&traffic=\(segment($0))" } ?? ""
        return try await get(
            "/v1/why-flow?from=\(segment(source))&to=\(segment(destination))\(tail)")
    }
}
