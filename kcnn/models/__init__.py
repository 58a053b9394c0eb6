def create_model(name, **kwargs):
    raise NotImplementedError


def list_models(pattern="*"):
    raise NotImplementedError
