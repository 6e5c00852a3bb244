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
                AdminFault(.notFound, "there is no \(request.method) \(request.uri.path)"))
        } catch let error as HTTPError {
            return try answer(AdminFault(.invalidRequest, error.body ?? error.status.reasonPhrase))
        } catch {
            context.logger.error(
                "An admin request failed",
                metadata: ["request.path": "\(request.uri.path)", "error": "\(error)"])
            return try answer(AdminFault(.internalError, "\(error)", hint: "see the agent's log"))
        }
    }

    private func answer(_ fault: AdminFault) throws -> Response {
        try json(fault, status: HTTPResponse.Status(code: fault.code.status))
    }
}
