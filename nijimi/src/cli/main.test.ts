/** Ctrl-C, in a real process. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const program = fileURLToPath(new URL("testing/endless.ts", import.meta.url));

/** Runs the endless command, sends SIGINT as often as `expected` lines are seen, and waits for its end. */
function interrupt(line: readonly string[], expected: readonly string[]) {
  const child = spawn(process.execPath, ["--import", "tsx", program, "go", ...line]);
  const awaited = [...expected];
  let stderr = "";
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
    while (awaited.length > 0 && stderr.includes(awaited[0])) {
      awaited.shift();
      child.kill("SIGINT");
    }
  });
  return new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stderr }));
  });
}

it("stops the command cleanly at the first Ctrl-C and ends with 130", async () => {
  const { code, stderr } = await interrupt([], ["ready"]);
  expect(code).toBe(130);
  expect(stderr).toBe("ready\n\nStopping … (Ctrl-C again stops at once)\ncleaned up\nCancelled.\n");
});

it("dies at the second Ctrl-C, whatever the command does", async () => {
  const { signal, stderr } = await interrupt(["--deaf"], ["ready", "Stopping"]);
  expect(signal).toBe("SIGINT");
  expect(stderr).not.toContain("cleaned up");
});
