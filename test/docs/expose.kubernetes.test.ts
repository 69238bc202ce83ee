/** The examples of docs/how-to/expose.md. */
import {describeExamples} from './examples.js'

describeExamples('expose.md')
