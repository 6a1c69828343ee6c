/** Runs a program and gives what it wrote. */
import { spawn } from "node:child_process";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `command` in `cwd` without standard input.
 *
 * @throws Error with the end of its output when it fails, unless `mayFail`
 */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  { mayFail = false }: { readonly mayFail?: boolean } = {},
): Promise<Outcome> {
  const child = spawn(command, args, {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0 || mayFail) resolve({ code, stdout, stderr });
      else
        reject(
          new Error(
            `${command} ${args.join(" ")} ended with ${code}:\n${(stdout + stderr).slice(-2000)}`,
          ),
        );
    });
  });
}
