import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUILD = fileURLToPath(new URL('../../../../build', import.meta.url));

/** Where set-up puts what the doctor attacks with. */
export const DOCTOR_PARTS = {
  hostileFunction: join(BUILD, 'doctor/hostile-function.elf'),
  hostileRunner: join(BUILD, 'bin/playa-hostile-runner'),
};
