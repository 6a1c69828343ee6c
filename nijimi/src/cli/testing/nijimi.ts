/** The nijimi command, from its sources. */
import { main } from "../main.ts";

await main();
