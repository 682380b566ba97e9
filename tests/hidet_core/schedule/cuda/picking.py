"""Which candidate a test runs: the best of one template, or what a test asks for."""


def of(name, admits=lambda config: True):
    """A pick: the best candidate of the template class `name` that the test admits. Kernels that
    the template does not serve get their best one.
    """

    def pick(found):
        ours = [c for c in found if type(c.template).__name__ == name]
        chosen = [c for c in ours if admits(c.config)]
        assert chosen or not ours, f"no config of {name} is admitted"
        return (chosen or found)[0]

    return pick


simt = of("Simt")
