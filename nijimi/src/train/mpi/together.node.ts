/** The processes of an MPI launcher as those of a training. */
import { scaleInto } from "../accumulate.ts";
import type { Together } from "../split-step.ts";
import { launchedProcesses, loadMpi, localProcesses } from "./library.node.ts";

/** Processes that train together, started by `mpirun`. */
export interface MpiProcesses extends Together {
  /** Processes on this machine, which share its cores. */
  readonly local: number;
  /** Says goodbye; to be called by all when training has ended well. A process that fails just exits. */
  finalize(): void;
}

/**
 * The processes that this one was started with; undefined when it runs alone.
 *
 * @throws NijimiError `device` when the launcher's library cannot be used
 * @example
 * const together = await connectMpi(process.env);
 */
export async function connectMpi(
  env: Readonly<Record<string, string | undefined>>,
): Promise<MpiProcesses | undefined> {
  if (launchedProcesses(env) < 2) return undefined;
  const mpi = await loadMpi(env);
  return {
    index: mpi.rank,
    count: mpi.size,
    local: localProcesses(env),
    average: (vector) => {
      mpi.sum(vector);
      scaleInto(vector, 1 / mpi.size);
    },
    gather: mpi.gather,
    broadcast: mpi.broadcast,
    finalize: mpi.finalize,
  };
}
