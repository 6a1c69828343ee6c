/** The worker: models are stored and pictures are made here, so that the page stays responsive. */
import { servePipelines } from "nijimi/pipelines";

servePipelines(globalThis);
