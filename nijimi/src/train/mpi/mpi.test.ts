import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../testing/run-tiny.ts", import.meta.url));

/** Launchers of this machine, with what lets them run as root on few cores. */
const LAUNCHERS = [
  {
    name: "Open MPI",
    command: "mpirun.openmpi",
    flags: ["--allow-run-as-root", "--oversubscribe"],
  },
  { name: "MPICH", command: "mpirun.mpich", flags: [] },
];

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "nijimi-mpi-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const model = async (folder: string): Promise<Float32Array> => {
  const bytes = await readFile(join(root, folder, "model", "model.bin"));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

async function train(
  folder: string,
  settings: readonly string[],
  launcher: readonly string[] = [],
): Promise<Float32Array> {
  const node = [process.execPath, "--conditions=@nijimi/source", "--import", "tsx", script];
  const [command, ...rest] = [...launcher, ...node];
  const options = JSON.stringify({ keep: 1 });
  await run(command, [...rest, join(root, folder), options, ...settings], { timeout: 60_000 });
  return model(folder);
}

const isThere = async (command: string): Promise<boolean> =>
  run(command, ["--version"]).then(
    () => true,
    () => false,
  );

describe.each(LAUNCHERS)("training over $name", ({ name, command, flags }) => {
  it.each(["contrastive=false", "contrastive=true"])(
    "is one process with the whole batch: %s",
    { timeout: 180_000 },
    async (loss) => {
      if (!(await isThere(command))) return;
      const launcher = [command, ...flags, "-n", "2"];
      const settings = ["updates=12", loss];
      const [two, one] = [`two ${name} ${loss}`, `one ${name} ${loss}`];
      const together = await train(two, [...settings, "batchSize=2"], launcher);
      const alone = await train(one, [...settings, "batchSize=4"]);
      expect(together).toHaveLength(alone.length);
      together.forEach((value, i) => expect(Math.abs(value - alone[i])).toBeLessThan(1e-4));
      const log = await readFile(join(root, two, "metrics.jsonl"), "utf8");
      expect(log.trim().split("\n")).toHaveLength(12);
      expect(JSON.parse(log.trim().split("\n")[11])).toMatchObject({ update: 12, samples: 48 });
    },
  );
});
