/**
 * libmpi without native code of ours: loaded by koffi, in the two binary interfaces that exist. Open MPI's constants
 * are the addresses of data symbols, MPICH's (and its relatives': Intel MPI, MVAPICH, Cray) are fixed integers.
 */
import { NijimiError } from "../../errors.ts";

/** The calls that training needs; each blocks until all processes have made it. */
export interface MpiLibrary {
  /** For messages: the file that was loaded. */
  readonly name: string;
  readonly rank: number;
  readonly size: number;
  /** Sums a vector over all processes, in place. */
  sum(vector: Float32Array): void;
  /** The vectors of all processes in order of rank. They have one length. */
  gather(vector: Float32Array): Float32Array;
  /** Overwrites the vector with the first process's. */
  broadcast(vector: Float32Array): void;
  finalize(): void;
}

/** What differs between the two interfaces. */
interface Abi {
  /** C type of communicators, datatypes and operations. */
  readonly handle: "void *" | "int";
  readonly world: bigint | number;
  readonly float: bigint | number;
  readonly sum: bigint | number;
  /** Says that the receiving buffer holds the contribution. */
  readonly inPlace: bigint;
}

const MPICH: Abi = {
  handle: "int",
  world: 0x44000000,
  float: 0x4c00040a,
  sum: 0x58000003,
  inPlace: 0xffffffffffffffffn, // (void *) −1
};

/** Names that a loader knows, by the launcher's family. */
const OPEN_MPI_FILES = [
  "libmpi.so.40",
  "libmpi.so.12",
  "libmpi.so",
  "libmpi.40.dylib",
  "libmpi.dylib",
];
const MPICH_FILES = [
  "libmpich.so.12",
  "libmpi.so.12",
  "libmpich.so",
  "libmpi.so",
  "libmpi.12.dylib",
];

type Environment = Readonly<Record<string, string | undefined>>;

/** Processes that a launcher has started with this one; 1 when there is none. */
export function launchedProcesses(env: Environment): number {
  return Number(env["OMPI_COMM_WORLD_SIZE"] ?? env["PMI_SIZE"] ?? env["MPI_LOCALNRANKS"] ?? 1);
}

/** Of those, how many run on this machine. */
export function localProcesses(env: Environment): number {
  return Number(
    env["OMPI_COMM_WORLD_LOCAL_SIZE"] ?? env["MPI_LOCALNRANKS"] ?? launchedProcesses(env),
  );
}

/**
 * Loads the launcher's library and initialises it. `NIJIMI_MPI` names the file where it is not found.
 *
 * @throws NijimiError `device` when koffi or the library is missing, or a call fails
 */
export async function loadMpi(env: Environment): Promise<MpiLibrary> {
  const { default: koffi } = await import("koffi").catch((cause: unknown) => {
    throw new NijimiError("device", "Training over MPI needs koffi: npm install koffi", { cause });
  });
  const files = env["NIJIMI_MPI"]
    ? [env["NIJIMI_MPI"]]
    : env["OMPI_COMM_WORLD_SIZE"] === undefined
      ? MPICH_FILES
      : OPEN_MPI_FILES;
  const failures: string[] = [];
  for (const name of files) {
    try {
      return bind(koffi.load(name, { global: true }), name);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new NijimiError(
    "device",
    `No MPI library could be used (${failures.join("; ")}). Name the launcher's libmpi in NIJIMI_MPI.`,
  );
}

/** The part of a library that koffi loads. */
interface Loaded {
  func(name: string, result: string, parameters: string[]): (...given: never[]) => unknown;
  symbol(name: string): bigint;
}

function bind(library: Loaded, name: string): MpiLibrary {
  const { handle, world, float, sum, inPlace } = abiOf(library);
  const call = (function_: string, parameters: string[]) => {
    const native = library.func(function_, "int", parameters) as (...given: unknown[]) => number;
    return (...given: unknown[]): void => {
      const code = native(...given);
      if (code !== 0)
        throw new NijimiError("device", `${function_} of ${name} failed with error ${code}.`);
    };
  };
  call("MPI_Init", ["void *", "void *"])(null, null);
  const rankAndSize = (["MPI_Comm_rank", "MPI_Comm_size"] as const).map((function_) => {
    const out = new Int32Array(1);
    call(function_, [handle, "void *"])(world, out);
    return out[0];
  });
  const [rank, size] = rankAndSize;
  const allReduce = call("MPI_Allreduce", ["void *", "void *", "int", handle, handle, handle]);
  const allGather = call("MPI_Allgather", [
    "void *",
    "int",
    handle,
    "void *",
    "int",
    handle,
    handle,
  ]);
  const broadcast = call("MPI_Bcast", ["void *", "int", handle, "int", handle]);
  const finalize = call("MPI_Finalize", []);
  return {
    name,
    rank,
    size,
    sum: (vector) => allReduce(inPlace, vector, vector.length, float, sum, world),
    gather: (vector) => {
      const out = new Float32Array(vector.length * size);
      allGather(vector, vector.length, float, out, vector.length, float, world);
      return out;
    },
    broadcast: (vector) => broadcast(vector, vector.length, float, 0, world),
    finalize: () => finalize(),
  };
}

/** Which interface a library has. */
function abiOf(library: Loaded): Abi {
  try {
    return {
      handle: "void *",
      world: library.symbol("ompi_mpi_comm_world"),
      float: library.symbol("ompi_mpi_float"),
      sum: library.symbol("ompi_mpi_op_sum"),
      inPlace: 1n,
    };
  } catch {
    return MPICH;
  }
}
