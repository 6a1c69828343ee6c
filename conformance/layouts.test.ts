/**
 * Checkpoints of the papers' repositories: each is recognised by its names as what its repository is, and all
 * its tensors are read. Runs over the committed cases, and over the directory in `NIJIMI_CASES`.
 */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { describeCheckpoint, readAll, writeSafetensors } from "nijimi/checkpoints";
import { describe, expect, test } from "vitest";
import type { Case } from "./case.ts";
import { readCases } from "./read-case.ts";

const ROOTS = [path.join(import.meta.dirname, "cases"), process.env.NIJIMI_CASES].filter(
  (root): root is string => root !== undefined && existsSync(path.join(root, "authors")),
);

/** Cases that hold the weights of one network of one repository. */
function networks(
  root: string,
): { readonly id: string; readonly repository: string; readonly c: Case }[] {
  return readCases(path.join(root, "authors")).flatMap((c) => {
    const { repo } = (c.json.source ?? {}) as { readonly repo?: string };
    const owns = Object.keys(c.tensors()).some((name) => name.startsWith("w."));
    return repo !== undefined && owns && c.json.weights_from === undefined
      ? [{ id: c.id, repository: repo.replace(/^.*\//, ""), c }]
      : [];
  });
}

/** Files that their authors' tools wrote. */
function files(root: string): string[] {
  const folder = path.join(root, "authors");
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((file) => /\.(ckpt|pt|pth|npz)$/.test(file))
    .map((file) => path.join(folder, file));
}

describe.each(ROOTS)("below %s", (root) => {
  test.each(networks(root))("$id is of $repository", async ({ repository, c }) => {
    const weights = Object.entries(c.tensors()).filter(([name]) => name.startsWith("w."));
    const checkpoint = await describeCheckpoint(writeSafetensors(Object.fromEntries(weights)));
    expect(checkpoint.title).toContain(repository);
    expect(checkpoint.unexpected).toEqual([]);
    for (const component of Object.values(checkpoint.components)) await readAll(component.entries);
    await checkpoint.close();
  });

  test.each(files(root))("%s is recognised and read", async (file) => {
    const checkpoint = await describeCheckpoint(file);
    expect(checkpoint.unexpected).toEqual([]);
    for (const component of Object.values(checkpoint.components)) await readAll(component.entries);
    await checkpoint.close();
  });
});
