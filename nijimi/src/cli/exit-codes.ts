/** What the process says when it ends. The table is part of the interface: scripts depend on it. */
import { type ErrorCode, isNijimiError } from "../errors.ts";

/** Exit codes with their meaning, as help and guide show them. */
export const EXIT_CODES = {
  0: "done",
  1: "failed: the engine, a network, or anything without a code of its own",
  2: "used wrongly: unknown command or option, or a value that is not accepted",
  3: "bad input: a file is missing, damaged, unsafe or not what it should be",
  4: "the device is not there",
  5: "out of memory",
  70: "a bug in nijimi",
  130: "cancelled",
} as const;

export type ExitCode = keyof typeof EXIT_CODES;

const OF_ERROR = {
  shape: 1,
  dtype: 1,
  option: 2,
  file: 3,
  format: 3,
  unsafe: 3,
  unsupported: 3,
  checkpoint: 3,
  device: 4,
  memory: 5,
  runtime: 1,
  numeric: 1,
  network: 1,
  cancelled: 130,
  internal: 70,
} as const satisfies Record<ErrorCode, ExitCode>;

/** The exit code for something thrown. */
export function exitCodeOf(error: unknown): ExitCode {
  return isNijimiError(error) ? OF_ERROR[error.code] : 1;
}
