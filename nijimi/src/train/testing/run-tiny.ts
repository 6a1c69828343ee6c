/**
 * Runs the tiny recipe in a process of its own: `run-tiny.ts FOLDER '{"resume":true}' delay=8`. For tests that kill it
 * or start several together.
 */
import { connectMpi } from "../mpi/together.node.ts";
import type { RunOptions } from "../run/events.ts";
import { runRecipe } from "../run/run.node.ts";
import { applySettings } from "../settings.ts";
import { tinyRecipe } from "./tiny-recipe.ts";

const [folder, options, ...changes] = process.argv.slice(2);
const together = await connectMpi(process.env);
for await (const event of runRecipe(tinyRecipe, applySettings(tinyRecipe.settings, changes), {
  folder,
  checkpointMinutes: 0,
  threads: 1,
  ...(JSON.parse(options) as Partial<RunOptions>),
  ...(together && { together }),
}))
  if (event.type === "step-end") process.stdout.write(`${event.update}\n`);
together?.finalize();
