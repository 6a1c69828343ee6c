/** Sees to it that the tests of data-parallel training find an MPI: Debian's, where root and apt are there. */
import { execFileSync } from "node:child_process";

const LAUNCHERS = ["mpirun.openmpi", "mpirun.mpich"];

/** Installs the launchers that are missing. Where that cannot be done, their tests are left out, and it is said. */
export function ensureMpi(say: (line: string) => void): void {
  const missing = LAUNCHERS.filter((launcher) => !runs(launcher));
  if (missing.length === 0) return;
  try {
    if (process.getuid?.() !== 0) throw new Error("installing needs root");
    say(`No ${missing.join(", ")}; installing Debian's openmpi-bin and mpich …`);
    run("apt-get", ["update", "-qq"]);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "openmpi-bin", "mpich"]);
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    say(`Training over ${missing.join(" and ")} is not tested here: ${reason}.`);
  }
}

function runs(launcher: string): boolean {
  try {
    run(launcher, ["--version"]);
    return true;
  } catch {
    return false;
  }
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, [...args], {
    stdio: "pipe",
    timeout: 300_000,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}
