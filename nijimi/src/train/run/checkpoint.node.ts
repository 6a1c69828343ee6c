/**
 * Checkpoints of a training on disk: one folder per checkpoint, which appears complete or not at all; the oldest are
 * deleted. A player's vectors lie in `PLAYER.safetensors` as `parameters.NAME`, `m.NAME`, `ema.NAME` and so on.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFile, writeFolder } from "../../checkpoints/files/files.node.ts";
import { parseJson } from "../../checkpoints/json.ts";
import { openCheckpoint } from "../../checkpoints/open-checkpoint.ts";
import { saveSafetensors } from "../../checkpoints/save-safetensors.ts";
import type { DataPosition } from "../../data/batches.ts";
import { NijimiError } from "../../errors.ts";
import { sizeOf, tensor, type Tensor } from "../../tensor/tensor.ts";
import { layoutOf, type Player, type Program, unflattenTensor, vectorNames } from "../program.ts";
import type { TrainingState } from "../state.ts";

/** `state.json` of a checkpoint. */
interface StateFile {
  readonly format: 1;
  readonly update: number;
  readonly samples: number;
  readonly position: DataPosition;
}

const FOLDER = /^update-(\d{8})$/;

/** The folder of update n below `parent`. */
function checkpointName(update: number): string {
  return `update-${String(update).padStart(8, "0")}`;
}

/**
 * Saves a state and deletes all but the last `keep` checkpoints.
 *
 * @returns the checkpoint's folder
 */
export async function saveCheckpoint(
  parent: string,
  program: Program,
  state: TrainingState,
  keep = 2,
): Promise<string> {
  const folder = join(parent, checkpointName(state.update));
  const { vectors, ...rest } = state;
  await writeFolder(folder, true, async (temporary) => {
    for (const [name, player] of Object.entries(program.players))
      await saveSafetensors(
        join(temporary, `${name}.safetensors`),
        namedVectors(player, vectors[name]),
      );
    const file: StateFile = { format: 1, ...rest };
    await writeFile(join(temporary, "state.json"), [
      new TextEncoder().encode(`${JSON.stringify(file, null, 2)}\n`),
    ]);
  });
  await deleteAllBut(parent, keep);
  return folder;
}

function namedVectors(
  player: Player,
  vectors: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const layout = layoutOf(player);
  return Object.fromEntries(
    vectorNames(player).flatMap((vector) =>
      Object.entries(unflattenTensor(layout, vectors[vector])).map(([name, value]) => [
        `${vector}.${name}`,
        value,
      ]),
    ),
  );
}

/** Updates of the checkpoints below `parent`, rising; none when there is no such folder. */
export async function listCheckpoints(parent: string): Promise<number[]> {
  const names = await readdir(parent).catch(() => []);
  return names
    .flatMap((name) => FOLDER.exec(name)?.slice(1) ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}

async function deleteAllBut(parent: string, keep: number): Promise<void> {
  const updates = await listCheckpoints(parent);
  for (const update of updates.slice(0, -Math.max(1, keep)))
    await rm(join(parent, checkpointName(update)), { recursive: true, force: true });
}

/**
 * The latest state saved below `parent`, for a program with the same players; undefined when there is none.
 *
 * @param fallback vectors of players that the checkpoint does not know, such as a discriminator that joins later
 * @throws NijimiError `checkpoint` when a parameter is missing or has another shape
 */
export async function loadLatest(
  parent: string,
  program: Program,
  fallback: TrainingState["vectors"],
): Promise<TrainingState | undefined> {
  const update = (await listCheckpoints(parent)).at(-1);
  if (update === undefined) return undefined;
  const folder = join(parent, checkpointName(update));
  const { format, ...state } = await readState(folder);
  if (format !== 1)
    throw new NijimiError(
      "checkpoint",
      `${folder} has checkpoint format ${String(format)}; this version of nijimi reads format 1.`,
    );
  const files = await readdir(folder);
  const vectors: Record<string, Readonly<Record<string, Tensor>>> = {};
  for (const [name, player] of Object.entries(program.players))
    vectors[name] = files.includes(`${name}.safetensors`)
      ? await readVectors(join(folder, `${name}.safetensors`), player)
      : fallback[name];
  return { ...state, vectors };
}

async function readState(folder: string): Promise<StateFile> {
  return parseJson(await readFile(join(folder, "state.json"), "utf8")) as unknown as StateFile;
}

async function readVectors(file: string, player: Player): Promise<Record<string, Tensor>> {
  const layout = layoutOf(player);
  const checkpoint = await openCheckpoint(file);
  const vectors: Record<string, Tensor> = {};
  for (const vector of vectorNames(player)) {
    const flat = new Float32Array(layout.size);
    for (const [name, { offset, shape }] of Object.entries(layout.entries)) {
      const entry = checkpoint.entries[`${vector}.${name}`];
      if (entry === undefined || sizeOf(entry.shape) !== sizeOf(shape))
        throw new NijimiError(
          "checkpoint",
          `${file}: ${vector}.${name} is ${entry ? `[${entry.shape}]` : "missing"}; this recipe needs [${shape}]. The recipe's network has changed since; start a new run.`,
        );
      flat.set((await entry.read()).data as Float32Array, offset);
    }
    vectors[vector] = tensor("float32", [layout.size], flat);
  }
  await checkpoint.close();
  return vectors;
}
