"""x"""
def machine(): return {}
