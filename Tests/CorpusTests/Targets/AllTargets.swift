// SPDX-License-Identifier: Apache-2.0

/// Everything that is fuzzed.
let fuzzTargets: [FuzzTarget] =
    modelTargets + replicationTargets + reachabilityTargets + leaseTargets + kubernetesTargets
    + multiclusterTargets + membershipTargets + transportTargets + agentTargets + containerTargets
