/** The truth table on Redis. */
import { describeSemantics } from './semantics.ts';

describeSemantics('Redis');
