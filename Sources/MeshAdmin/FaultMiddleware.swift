// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging

/// Turns everything that is thrown into an ``AdminFault`` with its HTTP status.
struct FaultMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: BasicRequestContext,
        next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let fault as AdminFault {
            return try answer(fault)
        } catch let error as HTTPError where error.status == .notFound {
            return try answer(
                AdminFault(
                    .notFound, Self.unknownRoute("\(request.method)", request.uri.path)))
        } catch let error as HTTPError {
            return try answer(AdminFault(.invalidRequest, error.body ?? error.status.reasonPhrase))
        } catch {
            context.logger.error(
                "An admin request failed",
                metadata: ["request.path": "\(request.uri.path)", "error": "\(error)"])
            return try answer(AdminFault(.internalError, "\(error)", hint: "see the agent's log"))
        }
    }

    /// By which a client tells that it asks an agent of another version: it must not change.
    static func unknownRoute(_ method: String, _ path: String) -> String {
        "there is no \(method) \(path)"
    }

    private func answer(_ fault: AdminFault) throws -> Response {
        try json(fault, status: HTTPResponse.Status(code: fault.code.status))
    }
}
