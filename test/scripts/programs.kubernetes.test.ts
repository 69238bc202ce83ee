/** The real programs of this lane are those that the catalogue means. */
import {execFileSync} from 'node:child_process'
import {expect} from 'chai'
import {lanes} from '../../scripts/lanes/lanes.mjs'
import {programNamed} from '../../scripts/programs/catalogue.mjs'
import {findProgram} from '../../scripts/programs/find.mjs'

describe('the programs of the lane kubernetes', () => {
  const {programs} = lanes.find(({name}) => name === 'kubernetes')!
  for (const name of programs)
    it(`${name} is here, and says that it is the wanted version`, () => {
      const program = programNamed(name)
      const path = findProgram(program)
      if (path === undefined) throw new Error(`there is no ${name} here: "node scripts/programs/main.mjs ensure ${name}" brings one`)
      expect(program.fits(execFileSync(path, program.versionArgs ?? ['--version'], {encoding: 'utf8'}))).to.equal(true)
    })
})
