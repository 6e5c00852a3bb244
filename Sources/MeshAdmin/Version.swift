// SPDX-License-Identifier: Apache-2.0

/// Version of the agent and of the CLI; both come from one binary.
public let weftVersion = "0.1.0"
