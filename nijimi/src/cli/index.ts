export { main } from "./main.ts";
export { type Surroundings, runCommandLine } from "./run.ts";
export { EXIT_CODES, exitCodeOf, type ExitCode } from "./exit-codes.ts";
